//! ID3v2 tags in front of packed audio.
