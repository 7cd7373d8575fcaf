//! The local database of advisories: import, lookup, age.
