//! Framing: any chunking gives the same frames, and no byte is lost or made up.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portcullis_filters::frame::{Cutter, Reading, with_frame};
use portcullis_policies::StreamFormat;

fn cut(format: StreamFormat, bytes: &[u8], size: usize) -> Vec<Bytes> {
    let mut cutter = Cutter::new(Some(format), 1 << 20);
    let mut frames = Vec::new();
    for chunk in bytes.chunks(size) {
        if cutter.push(chunk).is_err() {
            return frames;
        }
        while let Some(frame) = cutter.next_frame() {
            frames.push(frame);
        }
    }
    frames.extend(cutter.finish());
    frames
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    for format in [StreamFormat::Ndjson, StreamFormat::Sse] {
        let whole = cut(format, bytes, bytes.len().max(1));
        assert_eq!(cut(format, bytes, usize::from(size).max(1)), whole);
        assert_eq!(whole.concat(), bytes);
        for frame in &whole {
            let _ = with_frame(frame, Reading::of(format), |frame| frame.each_text(&mut |_, _| {}));
        }
    }
});
