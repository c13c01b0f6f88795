/** Prints every system property of its virtual machine in the escaped form of Properties.store, which is unambiguous. */
public final class PrintProperties {
    private PrintProperties() {}

    public static void main(String[] arguments) throws java.io.IOException {
        System.getProperties().store(System.out, null);
    }
}
