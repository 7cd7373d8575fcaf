//! What dependencies a text or a manifest brings in.
