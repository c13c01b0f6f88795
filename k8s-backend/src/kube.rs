//! x
/// x
#[derive(Debug)]
pub struct KubeBackend;
