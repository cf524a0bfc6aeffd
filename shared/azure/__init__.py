"""Calls to Azure: thin adapters over the real SDKs, with Azure's expected answers as results."""
