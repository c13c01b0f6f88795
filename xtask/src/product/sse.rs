//! Parses a stream of server-sent events, in whatever pieces it arrives.
//!
//! Follows the rules of the HTML standard (<https://html.spec.whatwg.org/multipage/server-sent-events.html>) for fields,
//! comments, the three line ends and the byte order mark. Reconnecting is the caller's business.

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its type; `message` if the stream named none.
    pub(crate) name: String,
    /// Its data, several lines joined with line breaks.
    pub(crate) data: String,
    /// The last id that the stream has given, here or earlier.
    pub(crate) id: Option<String>,
}

/// The parser between two pieces.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    /// The first line is done, so that no byte order mark can follow.
    started: bool,
    name: String,
    data: Option<String>,
    id: Option<String>,
}

impl Parser {
    /// Takes the next bytes and returns the events that are complete with them.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for byte in bytes {
            let after_return = std::mem::replace(&mut self.after_return, *byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                _ => self.line.push(*byte),
            }
        }
        events
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let mut line = line.as_ref();
        if !std::mem::replace(&mut self.started, true) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        self.field(field, value.strip_prefix(' ').unwrap_or(value));
        None
    }

    fn field(&mut self, field: &str, value: &str) {
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            // A comment has an empty name; any other field is for somebody else.
            _ => {}
        }
    }

    fn dispatch(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        let data = self.data.take()?;
        let name = if name.is_empty() { "message".to_owned() } else { name };
        Some(Event { name, data, id: self.id.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str, id: Option<&str>) -> Event {
        Event { name: name.to_owned(), data: data.to_owned(), id: id.map(str::to_owned) }
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        let cases = [
            ("event: log\nid: 7\ndata: x\n\n", vec![event("log", "x", Some("7"))]),
            ("data: a\ndata:b\ndata\n\n", vec![event("message", "a\nb\n", None)]),
            ("\u{feff}data: a\n\n", vec![event("message", "a", None)]),
            (": keep alive\n\ndata:  two blanks\n\n", vec![event("message", " two blanks", None)]),
            ("event: log\n\ndata: x\n\n", vec![event("message", "x", None)]),
            (
                "id: 3\n\ndata: x\n\ndata: y\n\n",
                vec![event("message", "x", Some("3")), event("message", "y", Some("3"))],
            ),
            ("data: a:b\nretry: 5\nother\n\n", vec![event("message", "a:b", None)]),
            ("data\n\n", vec![event("message", "", None)]),
            ("data: the end is missing\n", vec![]),
        ];
        for (text, expected) in cases {
            for text in [text.to_owned(), text.replace('\n', "\r\n"), text.replace('\n', "\r")] {
                assert_eq!(Parser::default().feed(text.as_bytes()), expected, "{text:?}");
            }
        }
    }

    #[test]
    fn it_does_not_matter_how_the_stream_is_cut() {
        let text = "event: log\r\nid: 12\r\ndata: {\"text\":\"Größe ✔\"}\r\n\r\n: ping\r\n\r\nevent: end\r\ndata: {}\r\n\r\n";
        let whole = Parser::default().feed(text.as_bytes());
        assert_eq!(whole.len(), 2);
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let pieces: Vec<_> = text.as_bytes().chunks(size).flat_map(|piece| parser.feed(piece)).collect();
            assert_eq!(pieces, whole, "pieces of {size} bytes");
        }
    }
}
