"""What Coldsite asks of a site: one question a call, an answer with words, never an exception for an unwell site."""
