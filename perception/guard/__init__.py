"""What stands between experts and the rest: experts may hang, raise anything and return nonsense."""
