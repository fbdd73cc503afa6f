"""The parts of scripts/reproduce: tables of run files, each with what others have published."""
