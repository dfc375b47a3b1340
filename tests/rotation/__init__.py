"""A rotation under fire: workers that seal every token anew are killed again and again."""
