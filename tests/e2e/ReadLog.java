/*
 * Reads a log of weir-load by HdrHistogram's own library, and prints what it
 * has found: the intervals of each tag, then the untagged ones together as the
 * library's table of percentiles, in milliseconds.
 */
import org.HdrHistogram.EncodableHistogram;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.HistogramLogReader;

class ReadLog {
    public static void main(String[] args) throws Exception {
        HistogramLogReader reader = new HistogramLogReader(args[0]);
        Histogram sum = new Histogram(3);
        int intervals = 0;
        long tagged = 0;
        while (reader.hasNext()) {
            EncodableHistogram found = reader.nextIntervalHistogram();
            if (found == null) {
                break;
            }
            if (found.getTag() != null) {
                tagged++;
                continue;
            }
            sum.add((Histogram) found);
            intervals++;
        }
        System.out.println("start " + reader.getStartTimeSec());
        System.out.println("intervals " + intervals);
        System.out.println("tagged " + tagged);
        System.out.println("count " + sum.getTotalCount());
        sum.outputPercentileDistribution(System.out, 5, 1000000.0);
    }
}
