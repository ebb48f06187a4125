//! Rust source as the rules see it: what ships apart from what only tests run, and in both the paths, the literals and
//! the functions, with imports resolved. So neither a comment nor `use std::{fs, io}` deceives a rule.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{ImplItem, Item, UseTree};

/// A Rust file.
#[derive(Debug, Default)]
pub(crate) struct Code {
    /// What a build without tests compiles.
    pub(crate) shipped: Words,
    /// What stands below `#[cfg(test)]`.
    pub(crate) tested: Words,
    /// The modules `x` of `#[cfg(test)] mod x;`, whose files are tests from end to end.
    pub(crate) test_modules: Vec<String>,
}

/// What a piece of source names.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// Paths from the crate's name on, as far as the file's imports tell. Methods begin with a dot.
    pub(crate) paths: Vec<String>,
    /// Literals as they are spelled, with their quotes. Documentation is none.
    pub(crate) literals: Vec<String>,
    /// Names of the functions that are defined here.
    pub(crate) functions: Vec<String>,
    imports: BTreeMap<String, String>,
}

impl Code {
    /// Reads the text of a file.
    pub(crate) fn read(text: &str) -> syn::Result<Self> {
        let mut code = Self::default();
        let (mut shipped, mut tested) = (TokenStream::new(), TokenStream::new());
        code.split(syn::parse_file(text)?.items, &mut shipped, &mut tested);
        code.shipped = Words::of(shipped);
        code.tested = Words::of(tested);
        Ok(code)
    }

    fn split(&mut self, items: Vec<Item>, shipped: &mut TokenStream, tested: &mut TokenStream) {
        for item in items {
            if only_in_tests(&item) {
                match &item {
                    Item::Mod(module) if module.content.is_none() => {
                        self.test_modules.push(module.ident.to_string());
                    }
                    _ => item.to_tokens(tested),
                }
                continue;
            }
            match item {
                Item::Mod(module) => match module.content {
                    Some((_, items)) => self.split(items, shipped, tested),
                    None => module.to_tokens(shipped),
                },
                Item::Impl(mut block) => {
                    let (tests, others): (Vec<ImplItem>, _) =
                        block.items.into_iter().partition(only_in_tests);
                    tests.iter().for_each(|item| item.to_tokens(tested));
                    block.items = others;
                    block.to_tokens(shipped);
                }
                item => item.to_tokens(shipped),
            }
        }
    }
}

impl Words {
    fn of(tokens: TokenStream) -> Self {
        let mut words = Self::default();
        words.walk(tokens);
        for path in &mut words.paths {
            let (first, rest) = path.split_once("::").map_or((path.as_str(), None), |(a, b)| (a, Some(b)));
            if let Some(import) = words.imports.get(first) {
                *path = rest.map_or_else(|| import.clone(), |rest| format!("{import}::{rest}"));
            }
        }
        words
    }

    fn walk(&mut self, tokens: TokenStream) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(tree) = trees.get(at) {
            at += match tree {
                TokenTree::Punct(punct) if punct.as_char() == '#' && is_documentation(trees.get(at + 1)) => 2,
                TokenTree::Punct(_) => 1,
                TokenTree::Literal(literal) => {
                    self.literals.push(literal.to_string());
                    1
                }
                TokenTree::Group(group) => {
                    self.walk(group.stream());
                    1
                }
                TokenTree::Ident(word) if word == "use" => self.import(&trees[at..]),
                TokenTree::Ident(word) if word == "fn" => {
                    let name = match trees.get(at + 1) {
                        Some(TokenTree::Ident(name)) => name,
                        // The type of a function.
                        _ => word,
                    };
                    self.functions.push(name.to_string());
                    2
                }
                TokenTree::Ident(_) => self.path(&trees, at),
            };
        }
    }

    /// The length of the path that begins at `start`, which is noted.
    fn path(&mut self, trees: &[TokenTree], start: usize) -> usize {
        let is = |at: usize, wanted: char| matches!(trees.get(at), Some(TokenTree::Punct(it)) if it.as_char() == wanted);
        let mut path = trees[start].to_string();
        let mut at = start + 1;
        while is(at, ':') && is(at + 1, ':') {
            let Some(TokenTree::Ident(segment)) = trees.get(at + 2) else { break };
            path = format!("{path}::{segment}");
            at += 3;
        }
        let method = start > 0 && is(start - 1, '.') && !(start > 1 && is(start - 2, '.'));
        self.paths.push(if method { format!(".{path}") } else { path });
        at - start
    }

    /// The length of the import that `trees` begin with, which is noted.
    fn import(&mut self, trees: &[TokenTree]) -> usize {
        let end = |tree: &TokenTree| matches!(tree, TokenTree::Punct(punct) if punct.as_char() == ';');
        let Some(length) = trees.iter().position(end) else { return 1 };
        // `use<'a>` of an `impl Trait` is no import.
        let Ok(tree) = syn::parse2::<UseTree>(trees[1..length].iter().cloned().collect()) else { return 1 };
        self.imported(String::new(), &tree);
        length
    }

    fn imported(&mut self, before: String, tree: &UseTree) {
        let below = |name: String| if before.is_empty() { name } else { format!("{before}::{name}") };
        match tree {
            UseTree::Path(path) => self.imported(below(path.ident.to_string()), &path.tree),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.imported(before.clone(), tree));
            }
            UseTree::Name(name) if name.ident == "self" => {
                let name = before.rsplit("::").next().unwrap_or_default().to_owned();
                self.note_import(name, before);
            }
            UseTree::Name(name) => self.note_import(name.ident.to_string(), below(name.ident.to_string())),
            UseTree::Rename(name) if name.ident == "self" => {
                self.note_import(name.rename.to_string(), before)
            }
            UseTree::Rename(name) => self.note_import(name.rename.to_string(), below(name.ident.to_string())),
            UseTree::Glob(_) => self.paths.push(below("*".to_owned())),
        }
    }

    fn note_import(&mut self, name: String, path: String) {
        self.paths.push(path.clone());
        self.imports.insert(name, path);
    }

    /// The paths that are one of `banned` or lie below it, each once. A glob that may bring one along counts.
    pub(crate) fn paths_below(&self, banned: &[&str]) -> Vec<String> {
        let below = |path: &str| {
            banned.iter().any(|banned| {
                path == *banned
                    || path.strip_prefix(banned).is_some_and(|rest| rest.starts_with("::"))
                    || path.strip_suffix("::*").is_some_and(|glob| banned.starts_with(&format!("{glob}::")))
            })
        };
        let mut found: Vec<String> = self.paths.iter().filter(|path| below(path)).cloned().collect();
        found.sort();
        found.dedup();
        found
    }
}

/// Whether the attributes of an item keep it out of a build without tests.
fn only_in_tests(item: &impl ToTokens) -> bool {
    let mut trees = item.to_token_stream().into_iter();
    while let (Some(TokenTree::Punct(hash)), Some(TokenTree::Group(attribute))) = (trees.next(), trees.next())
    {
        if hash.as_char() != '#' || attribute.delimiter() != Delimiter::Bracket {
            return false;
        }
        let attribute = attribute.stream().to_string().replace(' ', "");
        if attribute == "cfg(test)" || attribute.starts_with("cfg(all(test,") {
            return true;
        }
    }
    false
}

fn is_documentation(tree: Option<&TokenTree>) -> bool {
    let Some(TokenTree::Group(group)) = tree else { return false };
    matches!(group.stream().into_iter().next(), Some(TokenTree::Ident(word)) if word == "doc")
}

#[cfg(test)]
mod tests {
    use super::Code;

    fn code(text: &str) -> Code {
        Code::read(text).unwrap()
    }

    #[test]
    fn a_module_of_tests_in_another_file_hides_nothing_below_it() {
        let code = code("#[cfg(test)]\nmod tests;\n\nfn pure() { std::fs::read(\"x\"); }");
        assert_eq!(code.test_modules, ["tests"]);
        assert_eq!(code.shipped.paths_below(&["std::fs"]), ["std::fs::read"]);
    }

    #[test]
    fn what_stands_below_a_module_of_tests_ships() {
        let code =
            code("#[cfg(test)]\nmod tests { fn t() { sleep(1); } }\nfn late() { std::env::var(\"X\"); }");
        assert_eq!(code.shipped.paths_below(&["std::env"]), ["std::env::var"]);
        assert_eq!(
            (&code.tested.functions[..], &code.shipped.functions[..]),
            (&["t".to_owned()][..], &["late".to_owned()][..])
        );
    }

    #[test]
    fn test_items_of_modules_and_impl_blocks_do_not_ship() {
        let code = code(
            "mod a { #[cfg(test)] use std::fs; impl A { #[cfg(all(test, unix))] fn b() { sleep(1) } fn c() {} } }",
        );
        assert_eq!(code.shipped.paths_below(&["std::fs", "sleep"]), [""; 0]);
        assert_eq!(code.tested.paths_below(&["std::fs", "sleep"]), ["sleep", "std::fs"]);
        assert_eq!(code.shipped.functions, ["c"]);
    }

    #[test]
    fn code_of_tests_and_of_a_feature_ships() {
        let code = code("#[cfg(any(test, feature = \"x\"))] fn a() {}\n#[cfg(not(test))] fn b() {}");
        assert_eq!(code.shipped.functions, ["a", "b"]);
    }

    #[test]
    fn imports_are_followed() {
        for text in [
            "use std::{fs, io}; fn f() { fs::read_dir(p); }",
            "use std::fs::{self as files}; fn f() { files::read_dir(p); }",
            "use std::fs::read_dir as list; fn f() { list(p); }",
            "fn f() { use std::fs::{self}; drop(fs::read_dir(p)); }",
            "fn f() { format!(\"{:?}\", ::std::fs::read_dir(p)); }",
        ] {
            let found = code(text).shipped.paths_below(&["std::fs"]);
            assert!(found.contains(&"std::fs::read_dir".to_owned()), "{text}: {found:?}");
        }
        assert_eq!(code("use std::time::*;").shipped.paths_below(&["std::time::Instant"]), ["std::time::*"]);
    }

    #[test]
    fn other_things_of_a_like_name_are_not_found() {
        let text =
            "use crate::fs; use std::fsx; fn f() -> impl Sized + use<> { fs::read(p); std::fsx::a(); a.fs }";
        assert_eq!(code(text).shipped.paths_below(&["std::fs", "fs"]), [""; 0]);
    }

    #[test]
    fn keywords_and_methods_are_found() {
        let code = code("async fn f() { x.await; a..b; w.sleep(1); }");
        assert_eq!(code.shipped.paths_below(&["async", ".await", ".sleep"]), [".await", ".sleep", "async"]);
        assert!(code.shipped.paths.contains(&"b".to_owned()));
    }

    #[test]
    fn documentation_and_comments_are_no_literals() {
        let code = code("//! \"a\"\n/// \"b\"\nfn f() { g(\"c\"); // \"d\"\n }");
        assert_eq!(code.shipped.literals, ["\"c\""]);
    }
}
