//! A Redis for the tests of what gates share.

use std::process::Command;

use crate::process::succeeds;
use crate::tools::{apt_install, may_use_apt};

/// Makes sure that `redis-server` can be run, where that is possible. The tests that need it say that they are
/// skipped where it is not.
pub(crate) fn ensure() {
    let runs = || succeeds(Command::new("redis-server").arg("--version"));
    if runs() {
        return;
    }
    if may_use_apt() {
        println!("xtask: redis-server is missing; installing it with apt-get");
        if apt_install("redis-server") && runs() {
            return;
        }
    }
    println!("xtask: no `redis-server`; the tests that need one say that they are skipped");
}
