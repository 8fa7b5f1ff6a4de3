//! The data plane: bytes to calls, calls to verdicts, verdicts to upstream.

pub mod wire;
