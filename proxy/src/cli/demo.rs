//! `portcullis demo`.
pub(super) fn run(_args: &super::DemoArgs) -> super::Outcome {
    Ok(())
}
