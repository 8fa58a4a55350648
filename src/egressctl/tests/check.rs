//! What `egressctl check` prints.
