"""Probes of a site: one question for each call, an answer with a detail, never an exception for an unhealthy site."""
