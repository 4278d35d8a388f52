//! Small export requests, encoded by hand: every field of every message once.

use crate::Signal;

/// A protobuf message under construction.
#[derive(Clone, Default)]
pub struct Message(pub Vec<u8>);

impl Message {
    fn tag(&mut self, field: u32, wire_type: u32) {
        self.raw_varint(u64::from(field << 3 | wire_type));
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub fn varint(mut self, field: u32, value: u64) -> Message {
        self.tag(field, 0);
        self.raw_varint(value);
        self
    }

    pub fn fixed64(mut self, field: u32, value: u64) -> Message {
        self.tag(field, 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn double(self, field: u32, value: f64) -> Message {
        self.fixed64(field, value.to_bits())
    }

    pub fn fixed32(mut self, field: u32, value: u32) -> Message {
        self.tag(field, 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn bytes(mut self, field: u32, value: &[u8]) -> Message {
        self.tag(field, 2);
        self.raw_varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    pub fn text(self, field: u32, value: &str) -> Message {
        self.bytes(field, value.as_bytes())
    }

    pub fn message(self, field: u32, value: &Message) -> Message {
        self.bytes(field, &value.0)
    }
}

pub fn new() -> Message {
    Message::default()
}

/// AnyValues.
pub fn string(value: &str) -> Message {
    new().text(1, value)
}

pub fn array(items: &[Message]) -> Message {
    let list = items.iter().fold(new(), |list, item| list.message(1, item));
    new().message(5, &list)
}

pub fn map(members: &[Message]) -> Message {
    let list = members
        .iter()
        .fold(new(), |list, pair| list.message(1, pair));
    new().message(6, &list)
}

/// A KeyValue.
pub fn pair(key: &str, value: &Message) -> Message {
    new().text(1, key).message(2, value)
}

/// One attribute of each kind.
fn attributes() -> Vec<Message> {
    vec![
        pair("string", &string("some text of some length, with ünïcödé")),
        pair("int", &new().varint(3, (-5i64) as u64)),
        pair("double", &new().double(4, 0.25)),
        pair("bool", &new().varint(2, 1)),
        pair("bytes", &new().bytes(7, &[1, 2, 3])),
        pair(
            "array",
            &array(&[string("x"), new(), new().double(4, 1e300)]),
        ),
        pair(
            "map",
            &map(&[pair("b", &string("\u{2028}")), pair("a", &array(&[]))]),
        ),
        pair("empty", &new()),
        new().text(1, "unset"),
    ]
}

fn with_attributes(message: Message, field: u32) -> Message {
    attributes()
        .iter()
        .fold(message, |message, pair| message.message(field, pair))
}

/// A request with `records` records in each of two scopes.
pub fn request(signal: Signal, records: usize) -> Vec<u8> {
    let resource = with_attributes(new(), 1)
        .message(1, &pair("service.name", &string("checkout")))
        .message(3, &new().text(1, "https://entity").text(2, "service"));
    let scope = with_attributes(new().text(1, "scope").text(2, "1.0"), 3).varint(4, 2);
    let mut first = new().message(1, &scope);
    for number in 0..records as u64 {
        first = match signal {
            Signal::Traces => first.message(2, &span(number)),
            Signal::Logs => first.message(2, &record(number)),
            Signal::Metrics => metrics(number)
                .iter()
                .fold(first, |scope, metric| scope.message(2, metric)),
        };
    }
    // The second scope ends with its URL, as encoders have it.
    let second = Message(first.0.clone()).text(3, "https://schema");
    let resources = new()
        .message(1, &resource)
        .message(2, &first)
        .message(2, &second)
        .text(3, "https://schema/resource");
    new().message(1, &resources).0
}

fn span(number: u64) -> Message {
    let event = with_attributes(new().fixed64(1, 7 + number).text(2, "exception"), 3).varint(4, 1);
    let link = new()
        .bytes(1, &[9; 16])
        .bytes(2, &[8; 8])
        .text(3, "state=1");
    let span = new()
        .bytes(1, &[number as u8 + 1; 16])
        .bytes(2, &[2; 8])
        .text(3, "vendor=state")
        .bytes(4, &[3; 8])
        .text(5, "GET /")
        .varint(6, 2)
        .fixed64(7, 1_000 + number)
        .fixed64(8, 2_000);
    with_attributes(span, 9)
        .varint(10, 1)
        .message(11, &event)
        .message(11, &event)
        .message(13, &with_attributes(link, 4))
        .message(15, &new().text(2, "broken").varint(3, 2))
        .fixed32(16, 257)
}

fn record(number: u64) -> Message {
    let record = new()
        .fixed64(1, 1_000 + number)
        .varint(2, 9)
        .text(3, "INFO")
        .message(
            5,
            &if number % 2 == 0 {
                string("a line")
            } else {
                array(&[string("a")])
            },
        );
    with_attributes(record, 6)
        .varint(7, 1)
        .fixed32(8, 257)
        .bytes(9, &[number as u8; 16])
        .bytes(10, &[2; 8])
        .fixed64(11, 999)
        .text(12, "event")
}

/// One metric of each kind.
fn metrics(number: u64) -> Vec<Message> {
    let exemplar = |field| {
        with_attributes(new().fixed64(2, 5).double(3, 1.5), 7)
            .fixed64(field, 3)
            .bytes(4, &[4; 8])
            .bytes(5, &[5; 16])
    };
    let times = || new().fixed64(2, 500).fixed64(3, 1_000 + number);
    let numbers = with_attributes(times().double(4, 2.5).fixed64(6, 7), 7)
        .message(5, &exemplar(6))
        .varint(8, 1);
    let statistics = || times().fixed64(4, 3).double(5, 6.5);
    let histogram = with_attributes(statistics(), 9)
        .bytes(6, &[1u64, 2].map(u64::to_le_bytes).concat())
        .fixed64(6, 3)
        .bytes(7, &[0.5f64, 1.0].map(f64::to_le_bytes).concat())
        .message(8, &exemplar(6))
        .varint(10, 1)
        .double(11, 0.25)
        .double(12, 4.0);
    let buckets = new().varint(1, 5).bytes(2, &[1, 0x80, 1, 2]).varint(2, 4);
    let exponential = with_attributes(statistics(), 1)
        .varint(6, 3)
        .fixed64(7, 2)
        .message(8, &buckets)
        .message(9, &buckets)
        .message(11, &exemplar(6))
        .double(12, 0.25)
        .double(13, 4.0);
    let summary = with_attributes(statistics(), 7)
        .message(6, &new().double(1, 0.5).double(2, 3.0))
        .message(6, &new().double(1, 0.99).double(2, 9.0));
    let metric = |name: &str| new().text(1, name).text(2, "what").text(3, "ms");
    let data = |point: &Message| new().message(1, point).message(1, point).varint(2, 2);
    vec![
        metric("gauge").message(5, &new().message(1, &numbers)),
        metric("sum").message(7, &data(&numbers).varint(3, 1)),
        metric("histogram").message(9, &data(&histogram)),
        metric("exponential").message(10, &data(&exponential)),
        metric("summary").message(11, &new().message(1, &summary)),
        metric("empty").message(12, &pair("k", &string("v"))),
    ]
}
