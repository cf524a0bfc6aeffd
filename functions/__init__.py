"""What Azure Functions calls. Folders are roles: triggers, orchestrators, activities and what these are made of."""
