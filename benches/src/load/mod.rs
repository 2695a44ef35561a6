//! pieces of the load command
