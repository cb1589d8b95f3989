"""Supervised group chats over HTTP: AutoGen behind a small Team protocol, with rules or a real model as the brain."""
