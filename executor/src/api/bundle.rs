//! What a plan step leaves behind: requests about bundles and their parts.

use std::path::Path;

use job_spec::attempt_api::{BundleStored, Part};
use reqwest::{Body, Method};
use tokio::{fs::File, io::AsyncWriteExt as _};

use super::{
    Api, FILE_TIMEOUT,
    error::{ApiError, ErrorKind},
    file_body::FileBody,
};

impl Api {
    /// Looks whether the workspace has a source of this key.
    pub(crate) async fn find_source(&self, key: &str) -> Result<Option<Part>, ApiError> {
        let found = self.call("look for the stored source", Method::GET, &format!("source?key={key}"));
        match found.json().await {
            Ok(part) => Ok(Some(part)),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Offers the bundle of a plan.
    pub(crate) async fn put_bundle(&self, bundle: Vec<u8>) -> Result<BundleStored, ApiError> {
        let call = self.call("store the bundle of the plan", Method::PUT, "bundle");
        call.map(|request| request.header("content-type", "application/json").body(bundle)).json().await
    }

    /// Downloads the bundle of the plan of the job.
    pub(crate) async fn get_bundle(&self) -> Result<Vec<u8>, ApiError> {
        self.call("download the bundle of the plan", Method::GET, "bundle").bytes().await
    }

    /// Uploads a part of a bundle from a file. A source has a key.
    pub(crate) async fn put_part(&self, part: &Part, key: Option<&str>, file: &Path) -> Result<(), ApiError> {
        let key = key.map_or_else(String::new, |key| format!("&key={key}"));
        let call = self.call(
            "store a part of the bundle",
            Method::PUT,
            &format!("part?digest={}{key}", part.digest),
        );
        let content = match File::open(file).await {
            Ok(content) => content,
            Err(error) => return Err(call.target.local(error)),
        };
        let body = Body::wrap(FileBody::new(content, part.size));
        call.map(|request| request.timeout(FILE_TIMEOUT).body(body)).send().await
    }

    /// Downloads a part of a bundle into a file.
    pub(crate) async fn get_part(&self, part: &Part, file: &Path) -> Result<(), ApiError> {
        let call =
            self.call("download a part of the bundle", Method::GET, &format!("part?digest={}", part.digest));
        let call = call.map(|request| request.timeout(FILE_TIMEOUT));
        let (target, mut answer) = call.accepted(|status| status.is_success()).await?;
        let mut content = match File::create(file).await {
            Ok(content) => content,
            Err(error) => return Err(target.local(error)),
        };
        loop {
            match answer.chunk().await {
                Ok(Some(piece)) => {
                    if let Err(error) = content.write_all(&piece).await {
                        return Err(target.local(error));
                    }
                }
                Ok(None) => break,
                Err(error) => return Err(target.no_answer(error)),
            }
        }
        match content.flush().await {
            Ok(()) => Ok(()),
            Err(error) => Err(target.local(error)),
        }
    }
}
