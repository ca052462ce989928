"""What the journal's numbers mean, for people."""
PHASES = ("planned", "locked", "source prepared", "target created", "definition saved", "undefined",
          "copying", "mirroring", "pivoted", "redefined", "verified", "retired", "undoing",
          "undone", "needs operator")
