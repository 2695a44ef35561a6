//! Workload generator and load commands.
