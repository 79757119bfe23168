"""`moai eval photos`: questions about annotated photographs, each beside what simpler means would answer."""
