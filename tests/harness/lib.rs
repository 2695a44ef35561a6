//! Harness shared by the black-box suites.
