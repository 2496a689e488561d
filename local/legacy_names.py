"""The words of the sample: trading names, remittance texts, cities and clerks' notes, in several alphabets.

Every name is put together from common words and belongs to nobody. What is mapped to a payment's fields keeps to the SEPA
Latin set; the other alphabets stand in columns that no payment is made of, and in the rows planted as `characters`.
"""

from __future__ import annotations

TRADES = (
    "Bakery", "Baustoffe", "Boulangerie", "Cantina", "Carpintaria", "Editions", "Elektro", "Ferreteria", "Florist",
    "Garage", "Imprimerie", "Joinery", "Kaffeehaus", "Laboratoire", "Librairie", "Molkerei", "Optik", "Panaderia",
    "Papeterie", "Pharmacie", "Rakennus", "Sanitaer", "Tischlerei", "Transporte", "Verlag", "Werkstatt", "Zuivel",
)  # fmt: skip
PLACES = (
    "am Markt", "an der Bruecke", "de l'Ocean", "del Sole", "do Porto", "du Moulin", "by the Canal", "Hafenblick",
    "Kustlijn", "Lakeside", "Monte Verde", "Nordlicht", "Old Mill", "Pohjola", "Rive Gauche", "Suedwind", "Tramontana",
    "Vieux Pont", "Waldrand", "Zonneweg",
)  # fmt: skip
LEGAL_FORMS = ("GmbH", "AG", "SARL", "S.A.", "B.V.", "S.p.A.", "Lda", "Oy", "Ltd", "NV", "e.K.", "(Holding) SE")

REMITTANCES = (
    "Invoice {n}",
    "Rechnung {n}, Teil 2",
    "Facture {n} du mois",
    "Order {n} / delivery 1",
    "Pedido {n}",
    "Refund {n}: goods returned",
    "Factuur {n}, project 'Zuid'",
    "Fattura {n} + trasporto",
)

NOT_SEPA_NAMES = (
    "Bäckerei Südwind", "Café de la Forêt", "Łódź Transport", "Señal y Sonido", "Smørrebrød Huset", "Çiçek Ticaret",
    "Αρτοποιείο Ήλιος", "Βιβλιοπωλείο Φάρος", "Пекарня Восход", "Типография Север", "مخبز الشروق", "מאפיית הזריחה",
    "日の出製パン", "햇살 제과", "Stone & Sons", 'The "Old" Mill', "Half_Moon Bakery", "Tab\tShop",
)  # fmt: skip
"""Each holds at least one character outside the SEPA Latin set."""

CITIES = (
    "Aachen", "Köln", "München", "Zürich", "Łódź", "Αθήνα", "Θεσσαλονίκη", "София", "Київ", "القاهرة", "תל אביב",
    "東京", "서울", "Málaga", "São Paulo", "Besançon", "Reykjavík", "İzmir",
)  # fmt: skip

CLERK_NOTES = (
    "",
    "ok",
    "checked, see file",
    'customer says "urgent"',
    "geprüft",
    "ελέγχθηκε",
    "проверено",
    "確認済み",
    "=1+1",
    "first line\nsecond line",
)

PURPOSES = ("SUPP", "TRAD", "SALA", "RENT", "TAXS", "OTHR", "")


def trading_name(ordinal: int) -> str:
    """The name of one party: the same ordinal always has the same name, with SEPA Latin characters only."""
    trade = TRADES[ordinal % len(TRADES)]
    place = PLACES[ordinal // len(TRADES) % len(PLACES)]
    form = LEGAL_FORMS[ordinal // 7 % len(LEGAL_FORMS)]
    return f"{trade} {place} {ordinal}, {form}" if ordinal % 5 == 0 else f"{trade} {place} {ordinal} {form}"
