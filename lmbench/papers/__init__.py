"""The papers' tables by name: which run stands behind a printed number, and what that run measured here."""
