"""Many pictures and questions in, answers with evidence out, on Ray Data: one machine or a cluster."""
