// Prints what Java's own PathMatcher says about pairs of patterns and paths: the table that the tests of the exclusion
// patterns are checked against.
//
//   javac -d OUT PathMatcherTable.java && LC_ALL=C.UTF-8 java -cp OUT PathMatcherTable SEED ROWS [fixed]
//
// java_path_matcher.tsv is the output for "1 320 fixed" under Java 17. One row is pattern, path, true|false|error,
// separated by tabs; a character outside of printable ASCII, and the backslash, is \ and "u" and four hexadecimal
// digits for each of its UTF-16 units. With "fixed", the pairs chosen by hand come before the random ones.
//
// The generators leave out what the product refuses or reads otherwise: '\' as the end of a range in a glob, what would
// be a placeholder, and every construct of a regular expression that is refused by name.
import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.util.Random;

public class PathMatcherTable {
    static final String[] NAME = {"a", "a", "b", "c", "-", "A", ".", "x", "é", "😀", "*", "?", "[", "]", "{", "}", ",",
        "\\", "^", "!", "$", "&", "+", " ", "\n", "\r", "\u0085", "\u2028", "\uffee"};
    static final String[] IN_BRACKET = {"a", "b", "c", "A", "-", "-", "!", "^", "[", "]", "\\", "&", "&&", "/", "*", "?",
        ".", "+", "#", "é", "😀", "😂", "\uffee", "\n", "a-c", "A-z", "!-~", "+-/", "a-é", "a-😀", "{", ",", "}"};
    static final String[] IN_CLASS = {"a", "b", "c-", "\\-", ".", "a-c", "A-Z", "!-~", "\\w", "\\D", "\\s", "\\x41-\\x44",
        "\\u00e9", "é", "😀", "\\]", "\\[", "^", "$", "{", "\\n", "-", "\\Qa-z\\E", "&a"};
    static final String[] ATOM = {"a", "b", "c", "-", "x", ".", "\\.", "\\w", "\\W", "\\d", "\\D", "\\s", "\\S", "é",
        "\\Q.*\\E", "\\Qab\\E", "\\x61", "\\x{1f600}", "\\u00e9", "[^/]", "/", "]", "}", ",", "\\n", "\\$"};
    static final String[] GROUP = {"(", "(?:", "(?i:", "(?s-i:", "((?i)", "(?i)("};
    static final String[] REPEAT = {"", "", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,}", "{0,2}"};
    static final String[] FIXED = {
        "glob:/d/*.db", "/d/x.db", "glob:/d/*.db", "/d/.db", "glob:/d/*.db", "/d/k/x.db", "glob:/d/**.db", "/d/k/x.db",
        "glob:/d/*/*/snapshots", "/d/k/t/snapshots", "glob:/d/*/*/snapshots", "/d/k/snapshots",
        "glob:**/snapshots", "/d/k/t/snapshots", "glob:**/snapshots", "/snapshots", "glob:/d/**", "/d", "glob:/d**", "/d",
        "glob:/d/***", "/d/a/b", "glob:/d?a", "/d/a", "glob:/d[!x]a", "/d/a", "glob:/d/[!a]", "/d/b",
        "glob:/d/{a,b}", "/d/b", "glob:/d/{a,b}", "/d/c", "glob:/d/{,a}", "/d/a", "glob:/d{,/a}", "/d",
        "glob:/d{}", "/d", "glob:/{a/b,c}", "/a/b", "glob:/{a*,?}/x", "/abc/x", "glob:/{a,{b}}", "/b",
        "glob:/a}", "/a}", "glob:/a,b", "/a,b", "glob:/{a\\,b}", "/a,b", "glob:/{a", "/a", "glob:/\\{a}", "/{a}",
        "glob:/a\\", "/a", "glob:/\\a\\*", "/a*", "glob:/\\a\\*", "/ab", "glob:\\/a", "/a",
        "glob:/[a", "/a", "glob:/[]", "/a", "glob:/[]a]", "/]", "glob:/[]a[b]", "/]", "glob:/[!]", "/a", "glob:/[^]", "/^",
        "glob:/[^a]", "/^", "glob:/[^a]", "/b", "glob:/[!^a]", "/b", "glob:/[!^a]", "/^", "glob:/[!!]", "/!",
        "glob:/[!!]", "/a", "glob:/[a!]", "/!", "glob:/[-]", "/-", "glob:/[!-]", "/-", "glob:/[!-]", "/a",
        "glob:/[-a]", "/-", "glob:/[!-a]", "/a", "glob:/[a-]", "/-", "glob:/[a-]", "/b", "glob:/[--a]", "/-",
        "glob:/[a--]", "/-", "glob:/[+--]", "/,", "glob:/[^-a]", "/^", "glob:/[a-b-c]", "/b", "glob:/[a-c-]", "/-",
        "glob:/[c-a]", "/b", "glob:/[a/]", "/a", "glob:/[/]", "/a", "glob:/[+-/]", "/.", "glob:[/]a", "/a",
        "glob:/[\\]", "/\\", "glob:/[\\a]", "/a", "glob:/[\\-a]", "/]", "glob:/[\\]]", "/\\]", "glob:/[[]", "/[",
        "glob:/[A-[]", "/B", "glob:/[A-[b]", "/b", "glob:/[[-a]", "/^", "glob:/[a[b]", "/[", "glob:/[a&&b]", "/a",
        "glob:/[a&&b]", "/&", "glob:/[&&]", "/&", "glob:/[#-&&&b]", "/$", "glob:/[&&-z]", "/a", "glob:/[&-&&]", "/&",
        "glob:/[*?.]", "/?", "glob:/[*?.]", "/a", "glob:/[{}]", "/}", "glob:/{[,],a}", "/,", "glob:/[ ]", "/ ",
        "glob:/?", "/é", "glob:/?", "/😀", "glob:/??", "/😀", "glob:/[é]", "/é", "glob:/[a-é]", "/z", "glob:/\\é", "/é",
        "glob:/[😀-😂]", "/😁", "glob:/[a-😀]", "/é", "glob:/[a-😀-]", "/-", "glob:/[a-😀-\uffee]", "/-", "glob:/[a-😀-\uffee]", "/\uffef", "glob:/[a-😀-z]", "/z", "glob:/[😀-\uffee]", "/😀", "glob:/[\uffee-😀]", "/😀",
        "glob:/*", "/a\nb", "glob:/**", "/a\nb", "glob:/?", "/\n", "glob:/[!a]", "/\n", "glob:/a", "/a\n",
        "glob:/**", "/\u2028", "glob:/**", "/\u0085", "glob:/**", "/\r", "glob:/a.b|(c)+$^", "/a.b|(c)+$^",
        "GLOB:/a", "/a", "Regex:/a", "/a", "glob", "/a", ":a", "/a", "", "/a", "ant:/a", "/a", "glob:", "/a", "glob :/a", "/a",
        "regex:", "/a", "regex:/a", "/ab", "regex:/.*", "/a/b", "regex:/.*", "/a\n", "regex:(?s)/.*", "/a\n",
        "regex:/a$", "/a", "regex:/a$", "/a\n", "regex:^/(a|b$)$", "/b", "regex:/[a-]+", "/-a", "regex:/[-a]", "/-",
        "regex:/[\\w-]+", "/a-_", "regex:/[\\w-.]+", "/a-.", "regex:/[a-\\w]", "/a", "regex:/[^\\W_]", "/_",
        "regex:/[^\\W_]", "/a", "regex:(?i)/ab[c-e]", "/ABD", "regex:(?i)/é", "/É", "regex:/(?i:a)b", "/AB",
        "regex:/((?i)a|b)c", "/Bc", "regex:/((?i)a|b)c", "/BC", "regex:(?i)/[^a]", "/A", "regex:/(?-i)a", "/a",
        "regex:/\\Qa*\\E+", "/a**", "regex:/\\Qa", "/a", "regex:/\\Q\\\\E", "/\\", "regex:/a\\E", "/a", "regex:/\\\\Q", "/\\Q",
        "regex:/[\\Qa-c\\E]", "/b", "regex:/[\\Qa-c\\E]", "/-", "regex:/a{2}", "/aa", "regex:/a{,2}", "/a",
        "regex:/a{2", "/aa", "regex:/\\${2}", "/$$", "regex:/{a", "/{a", "regex:/a{2,1}", "/aa", "regex:/a**", "/a", "regex:*", "/a",
        "regex:/a|*", "/a", "regex:(?i)*", "/a", "regex:/a}]", "/a}]", "regex:/a)", "/a", "regex:/(a", "/a", "regex:/[a", "/a",
        "regex:/[c-a]", "/b", "regex:/(?<n>a)", "/a", "regex:/(?<n>a)(?<n>b)", "/ab", "regex:/(?<1>a)", "/a",
        "regex:/(?q)", "/a", "regex:/\\y", "/y", "regex:/\\_", "/_", "regex:/\\x4", "/a", "regex:/\\x{1f600}", "/😀",
        "regex:/\\e|/\\t", "/\t", "regex:/\\w", "/é", "regex:/\\S", "/\u00a0", "regex:/.", "/😀", "regex:/.", "/\u2029",
        "regex:/a||/b", "/b", "regex:/()a(|b)", "/a", "regex:/a\\z", "/a", "regex:\\A/a", "/a", "regex:/[\\A]", "/a",
        "regex:\\", "/a", "regex:/a{99999999999}", "/a"};

    final Random random;

    PathMatcherTable(long seed) {
        random = new Random(seed);
    }

    String one(String[] choices) {
        return choices[random.nextInt(choices.length)];
    }

    String path() {
        StringBuilder path = new StringBuilder();
        for (int names = 1 + random.nextInt(3); names > 0; names--) {
            path.append('/');
            for (int n = 1 + random.nextInt(3); n > 0; n--)
                path.append(one(NAME));
        }
        // "." and ".." are never the name of an entry.
        return path.toString().replaceAll("/\\.\\.?(?=/|$)", "/a");
    }

    String bracket() {
        StringBuilder out = new StringBuilder("[");
        for (int n = random.nextInt(4); n > 0; n--)
            out.append(one(IN_BRACKET));
        String body = out.toString().replace("-\\", "-");
        return random.nextInt(30) == 0 ? body : body + "]";
    }

    /** A pattern made of a path, so that it often matches it. */
    String glob(String path) {
        StringBuilder out = new StringBuilder();
        boolean group = false;
        for (int c : path.codePoints().toArray()) {
            String s = Character.toString(c);
            switch (random.nextInt(16)) {
                case 0: out.append("?"); break;
                case 1: out.append("*"); break;
                case 2: out.append("**"); break;
                case 3: out.append(bracket()); break;
                case 4: out.append("[").append(random.nextBoolean() ? "!" : "").append(one(IN_BRACKET)).append(s).append("]");
                        break;
                case 5: out.append(group && random.nextInt(20) > 0 ? "}" : "{").append(s); group = !group; break;
                case 6: out.append(",").append(s); break;
                case 7: out.append("\\").append(s); break;
                case 8: out.append(s).append(one(NAME)); break;
                default: out.append("*?[{\\".contains(s) && random.nextInt(20) > 0 ? "\\" + s : s);
            }
        }
        String glob = out.append(group && random.nextInt(20) > 0 ? "}" : "").toString();
        return "glob:" + glob.replaceAll("-(\\\\|$)", "-").replaceAll("\\$+\\{+", "\\$");
    }

    /** Likewise a regular expression. */
    String regex(String path) {
        StringBuilder out = new StringBuilder();
        for (int c : path.codePoints().toArray()) {
            String s = Character.toString(c);
            String same = c < 128 && !Character.isLetter(c) ? "\\" + s : s;
            switch (random.nextInt(12)) {
                case 0: out.append("."); break;
                case 1: out.append(one(new String[] {"\\S", "\\s", "\\W", "\\w", "\\D", "\\d"})); break;
                case 2: out.append(set(same)); break;
                case 3: out.append("(?i:").append(s.equals("a") ? "A" : same).append("|").append(part(0)).append(")"); break;
                case 4: out.append("\\Q").append(s).append("\\E"); break;
                case 5: out.append("(?:").append(part(0)).append(")?").append(same); break;
                case 6: out.append(String.format(c < 256 ? "\\x%02x" : "\\x{%x}", c)); break;
                default: out.append(same);
            }
            out.append(random.nextInt(3) == 0 ? one(REPEAT) : "");
            out.append(random.nextInt(25) == 0 ? part(0) : "");
        }
        return "regex:" + (random.nextInt(6) == 0 ? "(?s)" : "") + (random.nextInt(6) == 0 ? "(?i)" : "")
            + (random.nextInt(6) == 0 ? "^" : "") + out
            + (random.nextInt(6) == 0 ? "$" : "") + (random.nextInt(6) == 0 ? "|^" + part(0) : "");
    }

    String set(String member) {
        String members = random.nextBoolean() ? one(IN_CLASS) + member : member + one(IN_CLASS);
        return (random.nextInt(4) == 0 ? "[^" : "[") + members + one(IN_CLASS) + "]";
    }

    String part(int depth) {
        switch (random.nextInt(depth > 1 ? 4 : 6)) {
            case 0: return set(one(IN_CLASS)) + one(REPEAT);
            case 4: return one(GROUP) + part(depth + 1) + "|" + part(depth + 1) + ")" + one(REPEAT);
            case 5: return one(GROUP) + part(depth + 1) + part(depth + 1) + ")";
            default: return one(ATOM) + one(REPEAT);
        }
    }

    static String escaped(String text) {
        StringBuilder out = new StringBuilder();
        for (char c : text.toCharArray())
            out.append(c >= ' ' && c <= '~' && c != '\\' ? String.valueOf(c) : String.format("\\u%04x", (int) c));
        return out.toString();
    }

    static void print(String pattern, String path) {
        String answer;
        try {
            answer = String.valueOf(FileSystems.getDefault().getPathMatcher(pattern).matches(Path.of(path)));
        } catch (IllegalArgumentException | UnsupportedOperationException e) {
            answer = "error";
        }
        System.out.print(escaped(pattern) + "\t" + escaped(path) + "\t" + answer + "\n");
    }

    public static void main(String[] args) {
        PathMatcherTable table = new PathMatcherTable(Long.parseLong(args[0]));
        for (int i = 0; args.length > 2 && i < FIXED.length; i += 2)
            print(FIXED[i], FIXED[i + 1]);
        for (int i = Integer.parseInt(args[1]); i > 0; i--) {
            String path = table.path();
            print(i % 3 > 0 ? table.glob(path) : table.regex(path), path);
        }
    }
}
