import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.retry.RetryNTimes;

/** Curator's lock on ZooKeeper, driven as bench/peers/peer.ts has it. A caller is a thread, as the lock wants it. */
public final class CuratorPeer {
  /** How long who is refused waits before it tries again. */
  private static final int AFTER_FAILURE_MS = 10;

  private final CuratorFramework client;
  private final ExecutorService threads = Executors.newCachedThreadPool();

  private CuratorPeer(CuratorFramework client) {
    this.client = client;
  }

  public static void main(String[] arguments) throws Exception {
    CuratorFramework client =
        CuratorFrameworkFactory.newClient(
            arguments[0], Integer.parseInt(arguments[1]), 10_000, new RetryNTimes(3, 100));
    client.start();
    client.blockUntilConnected();
    CuratorPeer peer = new CuratorPeer(client);
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      String[] words = line.trim().split(" ");
      try {
        System.out.println(words[0] + " " + peer.answer(words));
      } catch (Exception error) {
        System.out.println("failed " + error.toString().replace('\n', ' '));
      }
    }
    System.exit(0);
  }

  private String answer(String[] words) throws Exception {
    switch (words[0]) {
      case "callers":
        return "";
      case "cycle":
        return cycle(Integer.parseInt(words[1]), Integer.parseInt(words[2]), words[3]);
      case "contend":
        return contend(
            words[1],
            Integer.parseInt(words[2]),
            Integer.parseInt(words[3]),
            Integer.parseInt(words[4]));
      default:
        throw new IllegalArgumentException("expected a command that Curator's peer knows, got " + words[0]);
    }
  }

  private String cycle(int callers, int durationMs, String name) throws Exception {
    AtomicInteger cycles = new AtomicInteger();
    long startedAt = System.nanoTime();
    together(
        callers,
        index -> {
          InterProcessMutex lock = new InterProcessMutex(client, "/" + name + "-" + index);
          while (System.nanoTime() - startedAt < durationMs * 1_000_000L) {
            lock.acquire();
            lock.release();
            cycles.incrementAndGet();
          }
          return null;
        });
    return cycles.get() + " " + (System.nanoTime() - startedAt) / 1_000;
  }

  private String contend(String name, int callers, int warmMs, int countedMs) throws Exception {
    long countsFrom = System.nanoTime() + warmMs * 1_000_000L;
    long endsAt = countsFrom + countedMs * 1_000_000L;
    AtomicInteger served = new AtomicInteger();
    AtomicInteger failed = new AtomicInteger();
    List<List<Long>> waits =
        together(
            callers,
            index -> {
              List<Long> own = new ArrayList<>();
              boolean wasServed = false;
              InterProcessMutex lock = new InterProcessMutex(client, "/" + name);
              while (System.nanoTime() < endsAt) {
                long askedAt = System.nanoTime();
                try {
                  lock.acquire();
                  long grantedAt = System.nanoTime();
                  if (grantedAt < endsAt) wasServed = true;
                  if (grantedAt >= countsFrom && grantedAt < endsAt) own.add((grantedAt - askedAt) / 1_000);
                  lock.release();
                } catch (Exception refused) {
                  if (System.nanoTime() < endsAt) failed.incrementAndGet();
                  Thread.sleep(AFTER_FAILURE_MS);
                }
              }
              if (wasServed) served.incrementAndGet();
              return own;
            });
    return served.get()
        + " "
        + failed.get()
        + " "
        + waits.stream().flatMap(List::stream).map(String::valueOf).collect(Collectors.joining(","));
  }

  private interface Act<T> {
    T of(int index) throws Exception;
  }

  private <T> List<T> together(int count, Act<T> act) throws Exception {
    List<Callable<T>> tasks = new ArrayList<>();
    for (int index = 0; index < count; index++) {
      int own = index;
      tasks.add(() -> act.of(own));
    }
    List<T> results = new ArrayList<>();
    for (Future<T> future : threads.invokeAll(tasks)) results.add(future.get());
    return results;
  }
}
