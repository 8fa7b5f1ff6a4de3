//! The stand-in's wire contract over raw HTTP: what the real server was seen to answer, request by request.

#[path = "kommo_contract/edge.rs"]
mod edge;
#[path = "kommo_contract/modern.rs"]
mod modern;
#[path = "kommo_contract/raw.rs"]
mod raw;
#[path = "kommo_contract/session.rs"]
mod session;
#[path = "kommo_contract/stream.rs"]
mod stream;
