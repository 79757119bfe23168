"""`drawn`: the formats of POPE, MME, TextVQA and MMBench over held-out drawn scenes; needs no network and no data."""
