//! Finds secrets and e-mail addresses in text, in one pass per kind and without regular
//! expressions. `core/reference_redaction.py` is the same in readable form and lists the rules.

/// What takes the place of what was found.
pub const MASK: &[u8] = b"[redacted]";

/// A beginning by which a secret is known, and what must follow it.
struct Token {
    prefix: &'static [u8],
    /// Fewest bytes behind the prefix.
    least: usize,
    /// Whether the bytes of base64 and JWT belong to it.
    wide: bool,
    /// Fewest dots behind the prefix.
    dots: usize,
}

macro_rules! tokens {
    ($($prefix:literal $least:literal $wide:literal $dots:literal)*) => {
        &[$(Token { prefix: $prefix, least: $least, wide: $wide, dots: $dots }),*]
    };
}

static TOKENS: &[Token] = tokens![
    b"AKIA" 16 false 0
    b"ASIA" 16 false 0
    b"AIza" 30 false 0
    b"Bearer " 16 true 0
    b"bearer " 16 true 0
    b"eyJ" 20 true 2
    b"ghp_" 30 false 0
    b"gho_" 30 false 0
    b"ghu_" 30 false 0
    b"ghs_" 30 false 0
    b"ghr_" 30 false 0
    b"github_pat_" 30 false 0
    b"glpat-" 20 false 0
    b"hf_" 30 false 0
    b"npm_" 30 false 0
    b"pypi-" 30 false 0
    b"sk-" 20 false 0
    b"sk_live_" 16 false 0
    b"sk_test_" 16 false 0
    b"rk_live_" 16 false 0
    b"xoxa-" 16 false 0
    b"xoxb-" 16 false 0
    b"xoxp-" 16 false 0
    b"xoxr-" 16 false 0
    b"xoxs-" 16 false 0
];

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
/// Nothing shorter holds a token.
const SHORTEST: usize = 20;
/// Bytes in which a token must show what it is; without a limit, many beginnings in a long text
/// would be read to its end each.
const NEAR: usize = 4096;

const WORD: u8 = 1;
const NARROW: u8 = 2;
const WIDE: u8 = 4;
const LOCAL: u8 = 8;
const DOMAIN: u8 = 16;
const LETTER: u8 = 32;
/// The first byte of a token or a key block.
const START: u8 = 64;

const CLASS: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        if b.is_ascii_alphanumeric() {
            table[i] |= WORD | NARROW | WIDE | LOCAL | DOMAIN;
        }
        if b.is_ascii_alphabetic() {
            table[i] |= LETTER;
        }
        match b {
            b'_' => table[i] |= WORD | NARROW | WIDE | LOCAL,
            b'-' => table[i] |= NARROW | WIDE | LOCAL | DOMAIN | START,
            b'.' => table[i] |= WIDE | LOCAL | DOMAIN,
            b'+' => table[i] |= WIDE | LOCAL,
            b'~' | b'/' | b'=' => table[i] |= WIDE,
            b'%' => table[i] |= LOCAL,
            b'A' | b'B' | b'b' | b'e' | b'g' | b'h' | b'n' | b'p' | b's' | b'r' | b'x' => {
                table[i] |= START
            }
            _ => {}
        }
        i += 1;
    }
    table
};

#[inline(always)]
fn is(b: u8, class: u8) -> bool {
    CLASS[b as usize] & class != 0
}

/// Bytes from the front of `s` that are of a class.
fn run(s: &[u8], class: u8) -> usize {
    s.iter().take_while(|&&b| is(b, class)).count()
}

fn find(s: &[u8], needle: &[u8]) -> Option<usize> {
    s.windows(needle.len()).position(|window| window == needle)
}

/// Whether a byte occurs, asked of eight at a time.
#[inline(always)]
fn has(s: &[u8], wanted: u8) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let found = |word: u64| {
        let x = word ^ (EACH * u64::from(wanted));
        x.wrapping_sub(EACH) & !x & (EACH * 0x80)
    };
    let n = s.len();
    if n < 8 {
        return s.contains(&wanted);
    }
    let last = u64::from_le_bytes(s[n - 8..].try_into().unwrap());
    let words = s.chunks_exact(8);
    words.fold(found(last), |all, word| {
        all | found(u64::from_le_bytes(word.try_into().unwrap()))
    }) != 0
}

/// Bytes without a gap that every token has, `Bearer ` aside.
const LEAST_RUN: usize = 16;

/// Whether so many bytes of tokens stand together: one of them is then looked at here.
#[inline(always)]
fn has_run(s: &[u8]) -> bool {
    let mut at = LEAST_RUN - 1;
    while at < s.len() {
        if is(s[at], WIDE) {
            let before = s[..at].iter().rev().take(LEAST_RUN);
            let before = before.take_while(|&&b| is(b, WIDE)).count();
            let need = LEAST_RUN - before.min(LEAST_RUN);
            let behind = s[at..].iter().take(need);
            if behind.take_while(|&&b| is(b, WIDE)).count() == need {
                return true;
            }
        }
        at += LEAST_RUN;
    }
    false
}

/// Whether a text may hold something to redact. Most do not, and this tells it quickly.
#[inline(always)]
pub fn suspicious(s: &[u8]) -> bool {
    has(s, b'@') || (s.len() >= SHORTEST && (has_run(s) || has_begin(s)) && has_secret(s))
}

/// Whether a key block may begin.
#[inline(always)]
fn has_begin(s: &[u8]) -> bool {
    has(s, b'-') && find(s, BEGIN).is_some()
}

#[inline(never)]
fn has_secret(s: &[u8]) -> bool {
    next_secret(s, 0).is_some()
}

/// The length of a token that begins at `s`; 0 for none.
fn token(s: &[u8]) -> usize {
    for token in TOKENS {
        if !s.starts_with(token.prefix) {
            continue;
        }
        let rest = &s[token.prefix.len()..];
        let class = if token.wide { WIDE } else { NARROW };
        let near = &rest[..rest.len().min(NEAR)];
        let near = &near[..run(near, class)];
        let dots = near.iter().filter(|&&b| b == b'.').count();
        if near.len() >= token.least && dots >= token.dots {
            return token.prefix.len() + run(rest, class);
        }
    }
    0
}

/// The length of a private key that begins at `s`, without its end if that is cut off; 0 for none.
fn key_block(s: &[u8]) -> usize {
    if !s.starts_with(BEGIN) {
        return 0;
    }
    let label = &s[BEGIN.len()..];
    let Some(close) = find(label, DASHES) else {
        return 0;
    };
    if !label[..close].ends_with(b"PRIVATE KEY") {
        return 0;
    }
    let body = BEGIN.len() + close + DASHES.len();
    let Some(end) = find(&s[body..], END) else {
        return s.len();
    };
    let tail = body + end + END.len();
    find(&s[tail..], DASHES).map_or(s.len(), |close| tail + close + DASHES.len())
}

/// Where the next secret from `from` on lies.
fn next_secret(s: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut word_before = from > 0 && is(s[from - 1], WORD);
    for at in from..s.len() {
        let class = CLASS[s[at] as usize];
        // A key in JSON text comes after the letter of an escaped line end.
        if class & START != 0 && (!word_before || s[at] == b'-') {
            let len = match s[at] {
                b'-' => key_block(&s[at..]),
                _ => token(&s[at..]),
            };
            if len > 0 {
                return Some((at, at + len));
            }
        }
        word_before = class & WORD != 0;
    }
    None
}

/// Writes `s` without secrets to `out`; false, and nothing written, if it holds none.
pub fn secrets(s: &[u8], out: &mut Vec<u8>) -> bool {
    if s.len() < SHORTEST {
        return false;
    }
    let mut done = 0;
    while let Some((start, end)) = next_secret(s, done) {
        out.extend_from_slice(&s[done..start]);
        out.extend_from_slice(MASK);
        done = end;
    }
    if done > 0 {
        out.extend_from_slice(&s[done..]);
    }
    done > 0
}

/// The length of a host name at the front of `s`; 0 for none.
fn host(s: &[u8]) -> usize {
    let mut len = run(s, DOMAIN);
    while len > 0 && matches!(s[len - 1], b'.' | b'-') {
        len -= 1;
    }
    let Some(dot) = s[..len].iter().rposition(|&b| b == b'.') else {
        return 0;
    };
    let last = &s[dot + 1..len];
    let whole = last.len() >= 2 && last.iter().all(|&b| is(b, LETTER));
    if whole && dot > 0 && !matches!(s[0], b'.' | b'-') {
        len
    } else {
        0
    }
}

/// Writes `s` without e-mail addresses to `out`; false, and nothing written, if it holds none.
#[inline]
pub fn emails(s: &[u8], out: &mut Vec<u8>) -> bool {
    has(s, b'@') && mask_emails(s, out)
}

fn mask_emails(s: &[u8], out: &mut Vec<u8>) -> bool {
    let mut done = 0;
    for at in (0..s.len()).filter(|&at| s[at] == b'@') {
        if at < done {
            continue;
        }
        let name = s[done..at].iter().rev();
        let name = name.take_while(|&&b| is(b, LOCAL)).count();
        let domain = host(&s[at + 1..]);
        if name > 0 && domain > 0 {
            out.extend_from_slice(&s[done..at - name]);
            out.extend_from_slice(MASK);
            done = at + 1 + domain;
        }
    }
    if done > 0 {
        out.extend_from_slice(&s[done..]);
    }
    done > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        if !secrets(text.as_bytes(), &mut first) {
            first.extend_from_slice(text.as_bytes());
        }
        if !emails(&first, &mut second) {
            second = first;
        }
        String::from_utf8(second).unwrap()
    }

    #[test]
    fn secrets_and_addresses_are_masked() {
        for (text, want) in [
            (
                "write to jane.doe+x@mail.example.org.",
                "write to [redacted].",
            ),
            ("a@b@c.de, x@y", "a@[redacted], x@y"),
            ("key=AKIAABCDEFGHIJKLMNOP;", "key=[redacted];"),
            (
                "Authorization: Bearer abc.def-ghi_jkl=mno",
                "Authorization: [redacted]",
            ),
            ("task-sk-012345678901234567890", "task-[redacted]"),
            (
                "desk-0123456789012345678901234",
                "desk-0123456789012345678901234",
            ),
            (
                "x -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- y",
                "x [redacted] y",
            ),
            ("-----BEGIN PRIVATE KEY-----\nMII", "[redacted]"),
            (
                "-----BEGIN CERTIFICATE-----\nMII",
                "-----BEGIN CERTIFICATE-----\nMII",
            ),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "[redacted]"),
            (
                "plain text of more than twenty bytes",
                "plain text of more than twenty bytes",
            ),
        ] {
            assert_eq!(masked(text), want);
        }
    }

    #[test]
    fn every_token_begins_with_a_marked_byte() {
        for token in TOKENS {
            assert!(is(token.prefix[0], START));
            assert!(token.prefix.len() + token.least >= SHORTEST);
        }
    }
}
