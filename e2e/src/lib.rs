//! The harness of the end-to-end scenarios: real parts, started and observed by the tests.
//!
//! Nothing here is part of the product, and no product crate may depend on it.

pub mod agent;
pub mod bench;
pub mod cluster;
pub mod cluster_bench;
pub mod kommo;
pub mod load;
pub mod operator_bench;
pub mod process;
pub mod report;
