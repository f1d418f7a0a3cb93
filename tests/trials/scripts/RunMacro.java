// Runs one ImageJ macro without a display, as Fiji's launcher does with --headless: the patcher
// that Fiji uses takes the windows out of ImageJ before its classes are loaded.
import java.io.File;
import net.imagej.patcher.LegacyInjector;

public class RunMacro {
    public static void main(String[] args) {
        if (args.length < 1 || !new File(args[0]).isFile()) {
            System.err.println("There is no macro " + (args.length < 1 ? "named" : args[0]));
            System.exit(2);
        }
        LegacyInjector.preinit();
        System.exit(Macro.run(new File(args[0]), args.length > 1 ? args[1] : ""));
    }

    // A class of its own: ij.* must not be loaded before preinit() has returned.
    private static class Macro {
        static int run(File macro, String argument) {
            String result = ij.IJ.runMacroFile(macro.getAbsolutePath(), argument);
            return "[aborted]".equals(result) ? 1 : 0;
        }
    }
}
