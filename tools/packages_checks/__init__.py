"""What tools/packages-test checks: ``container`` is the engine, ``whole`` a MIG from packages, ``fresh`` an agent alone, ``rpm`` the rpm."""
