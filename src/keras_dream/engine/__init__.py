"""The dream loop and its parts."""
