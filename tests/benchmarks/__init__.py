"""What does it cost? Every claim about speed and memory, measured against something that a reader knows."""
