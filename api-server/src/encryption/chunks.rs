//! Large values, sealed in chunks: their size needs no memory.
//!
//! A header, then chunks of the same size, the last one shorter. STREAM binds each chunk to its position and
//! marks the last one, so chunks can be neither reordered, nor left out, nor cut off. The header begins with
//! letters that values of earlier releases, which were sealed as a whole, do not begin with.

use std::{
    fmt,
    io::{self, Read, Write},
};

use aead_stream::{NewStream as _, StreamBE32, StreamPrimitive as _};
use chacha20poly1305::XChaCha20Poly1305;

use super::{EncryptionKey, OpenError, random_bytes};

/// Number of bytes in a chunk before it is sealed.
const CHUNK_BYTES: usize = 64 * 1024;

/// Number of bytes that sealing adds to a chunk.
const TAG_BYTES: usize = 16;

const MAGIC: &[u8; 8] = b"EACHUNK1";
const PREFIX_BYTES: usize = 19;

/// Seals what is written to it. Only [`finish`](Self::finish) makes a value that can be opened.
pub struct SealingWriter<W> {
    stream: StreamBE32<XChaCha20Poly1305>,
    context: String,
    position: u32,
    /// What is written and not sealed yet; a full chunk is kept until it is known not to be the last.
    chunk: Vec<u8>,
    inner: W,
}

/// Opens what it reads.
pub struct OpeningReader<R> {
    source: Source<R>,
    context: String,
    /// What is opened and not read yet.
    opened: io::Cursor<Vec<u8>>,
}

enum Source<R> {
    Chunks { stream: StreamBE32<XChaCha20Poly1305>, position: u32, inner: R },
    End,
}

impl<W: Write> SealingWriter<W> {
    /// Begins a value for a context.
    ///
    /// # Errors
    /// The error of the writer.
    pub fn new(key: &EncryptionKey, context: &str, mut inner: W) -> io::Result<Self> {
        let prefix = random_bytes::<PREFIX_BYTES>();
        inner.write_all(MAGIC)?;
        inner.write_all(&prefix)?;
        Ok(Self {
            stream: StreamBE32::from_aead(key.cipher.clone(), &prefix.into()),
            context: context.to_owned(),
            position: 0,
            chunk: Vec::with_capacity(CHUNK_BYTES + TAG_BYTES),
            inner,
        })
    }

    /// Seals the rest and returns the writer.
    ///
    /// # Errors
    /// The error of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal_chunk(true)?;
        Ok(self.inner)
    }

    fn seal_chunk(&mut self, is_last: bool) -> io::Result<()> {
        self.stream
            .encrypt_in_place(self.position, is_last, self.context.as_bytes(), &mut self.chunk)
            .map_err(|_| io::Error::other("could not encrypt a chunk"))?;
        self.position = self.position.checked_add(1).ok_or(io::ErrorKind::FileTooLarge)?;
        self.inner.write_all(&self.chunk)?;
        self.chunk.clear();
        Ok(())
    }
}

impl<W: Write> Write for SealingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.len() == CHUNK_BYTES {
            self.seal_chunk(false)?;
        }
        let taken = bytes.len().min(CHUNK_BYTES - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<R: Read> OpeningReader<R> {
    /// Begins to open a value of a context. A value that was sealed as a whole is opened at once.
    ///
    /// # Errors
    /// The error of the reader; [`OpenError`] inside of an [`io::Error`] when the value cannot be opened.
    pub fn new(key: &EncryptionKey, context: &str, mut inner: R) -> io::Result<Self> {
        let mut head = Vec::new();
        inner.by_ref().take((MAGIC.len() + PREFIX_BYTES) as u64).read_to_end(&mut head)?;
        let context = context.to_owned();
        if let Some(Ok(prefix)) = head.strip_prefix(MAGIC).map(<[u8; PREFIX_BYTES]>::try_from) {
            let stream = StreamBE32::from_aead(key.cipher.clone(), &prefix.into());
            let source = Source::Chunks { stream, position: 0, inner };
            return Ok(Self { source, context, opened: io::Cursor::default() });
        }
        inner.read_to_end(&mut head)?;
        let opened = key.open(&context, &head).map_err(io::Error::other)?;
        Ok(Self { source: Source::End, context, opened: io::Cursor::new(opened) })
    }

    /// Opens the next chunk; leaves nothing to read at the end.
    fn open_chunk(&mut self) -> io::Result<()> {
        let Source::Chunks { stream, position, inner } = &mut self.source else { return Ok(()) };
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + TAG_BYTES);
        inner.by_ref().take((CHUNK_BYTES + TAG_BYTES) as u64).read_to_end(&mut chunk)?;
        // A full chunk is the last one if nothing follows, which its seal says.
        let sealed = chunk.clone();
        let context = self.context.as_bytes();
        let is_full = chunk.len() == CHUNK_BYTES + TAG_BYTES;
        if is_full && stream.decrypt_in_place(*position, false, context, &mut chunk).is_ok() {
            *position = position.checked_add(1).ok_or(io::ErrorKind::FileTooLarge)?;
        } else {
            chunk = sealed;
            let opened = stream.decrypt_in_place(*position, true, context, &mut chunk);
            // Nothing may follow the last chunk.
            if opened.is_err() || inner.read(&mut [0])? != 0 {
                return Err(io::Error::other(OpenError { context: self.context.clone() }));
            }
            self.source = Source::End;
        }
        self.opened = io::Cursor::new(chunk);
        Ok(())
    }
}

impl<R: Read> Read for OpeningReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.opened.read(buffer)?;
        if read > 0 || buffer.is_empty() {
            return Ok(read);
        }
        self.open_chunk()?;
        self.opened.read(buffer)
    }
}

impl<W> fmt::Debug for SealingWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingWriter").field("context", &self.context).finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for OpeningReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpeningReader").field("context", &self.context).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn seal(context: &str, value: &[u8]) -> Vec<u8> {
        let mut writer = SealingWriter::new(&EncryptionKey::new(KEY), context, Vec::new()).unwrap();
        // In pieces that do not fit into chunks.
        value.chunks(40_000).for_each(|piece| writer.write_all(piece).unwrap());
        writer.finish().unwrap()
    }

    fn open(context: &str, sealed: &[u8]) -> io::Result<Vec<u8>> {
        let mut opened = Vec::new();
        OpeningReader::new(&EncryptionKey::new(KEY), context, sealed)?.read_to_end(&mut opened)?;
        Ok(opened)
    }

    fn value(length: usize) -> Vec<u8> {
        (0..length).map(|index| u8::try_from(index * 31 % 251).unwrap()).collect()
    }

    #[test]
    fn opens_values_of_any_length() {
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 200_001] {
            assert!(open("a", &seal("a", &value(length))).unwrap() == value(length), "{length} bytes");
        }
    }

    #[test]
    fn opens_values_that_were_sealed_as_a_whole() {
        let sealed = EncryptionKey::new(KEY).seal("a", b"of an earlier release");
        assert_eq!(open("a", &sealed).unwrap(), b"of an earlier release");
        assert!(open("a", b"").is_err());
    }

    #[test]
    fn refuses_values_of_another_context_and_changed_chunks() {
        let sealed = seal("a", &value(3 * CHUNK_BYTES));
        assert!(open("b", &sealed).is_err(), "another context");
        let header = MAGIC.len() + PREFIX_BYTES;
        let chunk = CHUNK_BYTES + TAG_BYTES;
        assert!(open("a", &sealed[..header + 2 * chunk]).is_err(), "the last chunk is missing");
        assert!(open("a", &sealed[..sealed.len() - 1]).is_err(), "the last byte is missing");
        assert!(open("a", &[&sealed[..], b"x"].concat()).is_err(), "a byte is added");
        let swapped =
            [&sealed[..header], &sealed[header + chunk..header + 2 * chunk], &sealed[header..header + chunk]]
                .concat();
        assert!(open("a", &[&swapped[..], &sealed[header + 2 * chunk..]].concat()).is_err(), "reordered");
        let mut flipped = sealed.clone();
        flipped[header + chunk + 5] ^= 1;
        assert!(open("a", &flipped).is_err(), "a bit is changed");
    }
}
