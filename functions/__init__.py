"""What Azure Functions calls. Each folder is a role: triggers, orchestrators, activities and their parts."""
