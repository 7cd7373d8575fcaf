//! What Portcullis promises, seen from outside: real gate processes, real TLS, a fake model server
//! that remembers what reached it.

mod answers;
mod attacks;
mod audit;
mod bad_input;
mod cert_commands;
mod certificates;
mod commands;
mod connect;
mod credentials;
mod delegation;
mod door;
mod enrolment;
mod fail_closed;
mod identity;
mod lifecycle;
mod limits;
mod llama;
mod llmesh;
mod newcomer;
mod ollama;
mod policy;
mod queue;
mod replays;
mod requests;
mod rotation;
mod scan;
mod scan_git;
mod scan_report;
mod shared_store;
mod sign_command;
mod signatures;
mod signed_door;
mod signers;
mod streams;
