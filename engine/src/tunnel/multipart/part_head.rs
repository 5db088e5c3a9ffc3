//! What the header of a part says about it (RFC 7578 4.2).

use super::charset::Charset;
use super::media_type::MediaType;
use super::parameters::Parameters;
use crate::tunnel::json_string::write_json_string;
use crate::wire::token::is_tchar;

/// The header of a part that is part of the form, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartHead {
    /// `name`, its bytes read as Latin-1.
    pub name: Option<String>,
    /// `filename*`, else `filename` with its bytes read as Latin-1; without the path. May be empty where only a path
    /// was given.
    pub filename: Option<String>,
    /// `type/subtype` in lower case; `text/plain` where there is none that can be read.
    pub media_type: String,
    /// How a field's content is to be read.
    pub(super) charset: Charset,
}

impl PartHead {
    /// From the values of `Content-Disposition` and `Content-Type`. `None`: no part of the form, to be passed over.
    pub(super) fn new(disposition: Option<&[u8]>, content_type: Option<&[u8]>) -> Option<PartHead> {
        let disposition = disposition?;
        let len = disposition.iter().position(|&byte| !is_tchar(byte)).unwrap_or(disposition.len());
        let (kind, parameters) = disposition.split_at(len);
        if !kind.eq_ignore_ascii_case(b"form-data") {
            return None;
        }
        let parameters = Parameters::of_disposition(parameters).ok()?;
        let value = |name| parameters.get(name).filter(|value| !value.is_empty());
        let content_type = content_type.and_then(MediaType::parse);
        let charset = content_type.as_ref().and_then(|content_type| content_type.parameters.get("charset"));
        let charset = charset.and_then(|label| Charset::named(label.as_bytes())).unwrap_or_default();
        Some(PartHead {
            charset,
            name: value("name").map(String::from),
            filename: value("filename*").or_else(|| value("filename")).map(|path| base_name(path).to_owned()),
            media_type: content_type.map_or_else(|| "text/plain".to_owned(), |content_type| content_type.essence),
        })
    }

    /// A file, not a field: it has a file name, or is a stream of octets.
    pub(super) fn is_file(&self) -> bool {
        self.filename.is_some() || self.media_type == "application/octet-stream"
    }
}

/// What is behind the last `/` or `\`; nothing, where that would name a folder.
fn base_name(path: &str) -> &str {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    if matches!(name, "." | "..") { "" } else { name }
}

/// Appends the head of a file as JSON: `{"name":"file:F1","filename":"a.txt","type":"text/plain"}`, without `filename`
/// where there is none.
pub fn write_file_json(out: &mut Vec<u8>, head: &PartHead) {
    out.extend_from_slice(b"{\"name\":");
    write_json_string(out, head.name.as_deref().unwrap_or_default());
    if let Some(filename) = &head.filename {
        out.extend_from_slice(b",\"filename\":");
        write_json_string(out, filename);
    }
    out.extend_from_slice(b",\"type\":");
    write_json_string(out, &head.media_type);
    out.push(b'}');
}
