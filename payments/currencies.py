"""The currencies of ISO 4217 and how many decimals each has.

Condensed from list one as published on 2026-01-01, in the copy inside the Python package iso4217 1.16.20260101 (public
domain). Codes without a minor unit (metals, test codes, bond market units) are absent: no amount in them can be exact.
"""

from __future__ import annotations

_CODES_BY_MINOR_UNIT: dict[int, str] = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF "
        "CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
        "HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU "
        "MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR "
        "SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED "
        "VES WST XAD XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

MINOR_UNITS: dict[str, int] = {
    code: minor_unit for minor_unit, codes in _CODES_BY_MINOR_UNIT.items() for code in codes.split()
}
"""Currency code -> number of decimals."""


def minor_unit(code: str) -> int | None:
    """How many decimals the currency has; None for anything that is not an ISO 4217 code with a minor unit."""
    return MINOR_UNITS.get(code)


def text_of_minor(minor: int, exponent: int) -> str:
    """One amount of any size as text in major units."""
    digits = f"{abs(minor):0{exponent + 1}d}"
    sign = "-" if minor < 0 else ""
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}" if exponent else f"{sign}{digits}"
