"""Webhooks: what happens to exports, told to addresses of organizations."""
