"""The page: what a plan's situation is in one word and one sentence, and how it is drawn. It stores nothing."""
