//! What Portcullis promises, seen from outside: real gate processes, real TLS, a fake model server
//! that remembers what reached it.

mod audit;
mod bad_input;
mod commands;
mod connect;
mod credentials;
mod door;
mod enrolment;
mod fail_closed;
mod identity;
mod lifecycle;
mod limits;
mod llama;
mod newcomer;
mod ollama;
mod queue;
mod requests;
mod streams;
