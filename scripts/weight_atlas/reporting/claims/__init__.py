"""The ledger of the documents' claims, and the tests of these."""
