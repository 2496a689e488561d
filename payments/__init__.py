"""The domain: payments, money, books, states, keys and the ports that stages speak through. Imports nothing of ours."""
