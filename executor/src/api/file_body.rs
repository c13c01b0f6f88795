//! A file as the body of a request, read piece by piece.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::{
    fs::File,
    io::{AsyncRead as _, ReadBuf},
};

const PIECE_BYTES: usize = 64 * 1024;

/// The content of a file with this length.
pub(super) struct FileBody {
    file: File,
    left: u64,
    piece: Vec<u8>,
}

impl FileBody {
    pub(super) fn new(file: File, length: u64) -> Self {
        Self { file, left: length, piece: vec![0; PIECE_BYTES] }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Self { file, left, piece } = self.get_mut();
        if *left == 0 {
            return Poll::Ready(None);
        }
        let wanted = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
        let mut buffer = ReadBuf::new(&mut piece[..wanted]);
        let read = ready!(Pin::new(file).poll_read(context, &mut buffer));
        Poll::Ready(Some(read.and_then(|()| match buffer.filled() {
            [] => Err(io::ErrorKind::UnexpectedEof.into()),
            bytes => {
                *left -= bytes.len() as u64;
                Ok(Frame::data(Bytes::copy_from_slice(bytes)))
            }
        })))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
