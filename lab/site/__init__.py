"""Real servers that stand for a site's machines, the replication between sites, and the customers."""
